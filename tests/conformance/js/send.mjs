// Sends COUNT calls of 1,000 and 300 tokens through a real exporter, in one batch, and waits until it is done.
//
//   node send.mjs json | protobuf | grpc  ADDRESS  SERVICE  COUNT
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";

const [kind, address, service, count] = process.argv.slice(2);
const exporters = { json: JsonExporter, protobuf: ProtobufExporter, grpc: GrpcExporter };
const exporter = new exporters[kind]({ url: kind === "grpc" ? address : `${address}/v1/traces` });
const provider = new TracerProvider({
  resource: resourceFromAttributes({ "service.name": service }),
  spanProcessors: [new BatchSpanProcessor({ exporter })],
});
const tracer = provider.getTracer("conformance");
for (let number = 0; number < Number(count); number++) {
  const span = tracer.startSpan("chat gpt-4o", {
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-4o",
      "gen_ai.usage.input_tokens": 1000,
      "gen_ai.usage.output_tokens": 300,
    },
  });
  span.end();
}
await provider.forceFlush();
await provider.shutdown();
