"""Puts a word of its own into every place of a request that could hold content.

What a table may keep is decided by the allow-list alone (`dialects.py`): a value under any other
key, on a resource, scope, span, event, link or log record, is replaced. Then come the keys in
which dialects put prompts, answers, tools and errors, on every item, as text, bytes, list and map.
Blobs that are read for counts keep their counts and get words in, before and behind them.
"""

from __future__ import annotations

import base64
import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

from isolation.spans import CONTENT
from privacy.searching import Words

from ecomind_semconv import dialects

Node = dict[str, Any]

_HASHED = ("user", "session", "response_id")
_ONLY_ITS_PRESENCE = ("error",)
_KEPT = {
    key
    for field, keys in dialects.FIELDS.items()
    if field not in (*_HASHED, *_ONLY_ITS_PRESENCE, "usage_blob")
    for key in keys
} | {key for keys in dialects.RESOURCE_FIELDS.values() for key in keys}
"""Keys whose values may be stored, or decide something, and are left as they are."""
_BLOBS = dialects.FIELDS["usage_blob"]

MORE = (
    *CONTENT,
    "llm.input_messages",
    "llm.input_messages.0.message.tool_calls.0.tool_call.function.arguments",
    "llm.output_messages.0.message.contents.0.message_content.text",
    "llm.invocation_parameters",
    "gen_ai.request.stop_sequences",
    "gen_ai.tool.definitions",
    "gen_ai.tool.description",
    "gen_ai.agent.description",
    "gen_ai.retrieval.documents",
    "gen_ai.evaluation.explanation",
    "ai.prompt.tools",
    "ai.response.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "tool.parameters",
    "tool_input",
    "command",
    "prompt",
    "response_text",
    "exception.stacktrace",
    "http.request.body",
    "http.response.body",
    "process.command_line",
    "process.command_args",
    "url.query",
    "url.path",
    "db.query.text",
    "code.stacktrace",
    "baggage.user",
)
"""Keys that are put on every item, in the captures or not."""


class Planter:
    """Plants in the requests of one capture."""

    def __init__(self, words: Words, capture: str) -> None:
        self._words = words
        self._capture = capture
        self._kinds = itertools.cycle((self._text, self._bytes, self._list, self._map))

    def planted(self, document: Node) -> Node:
        """A copy of an OTLP/JSON request with a word in every place."""
        made = copy.deepcopy(document)
        for name, groups in made.items():
            for group in groups if name.startswith("resource") else ():
                self._group(group)
        return made

    def _group(self, group: Node) -> None:
        group["schemaUrl"] = self._word("schema URL of a resource")
        resource = group.setdefault("resource", {})
        self._attributes(resource, "resource", ("host.name", "process.command_line", "k8s.pod"))
        for name, scopes in group.items():
            for scoped in scopes if name.startswith("scope") else ():
                scoped["schemaUrl"] = self._word("schema URL of a scope")
                scope = scoped.setdefault("scope", {})
                scope["version"] = self._word("version of a scope")
                self._attributes(scope, "scope", ("note",))
                for kind in ("spans", "logRecords"):
                    for item in scoped.get(kind, ()):
                        self._item(item, kind)

    def _item(self, item: Node, kind: str) -> None:
        self._attributes(item, "attribute", MORE)
        if kind == "logRecords":
            item["body"] = self._value("body of a log record")
            item["severityText"] = self._word("severity")
            return
        item["name"] = self._word("name of a span")
        item["traceState"] = f"vendor={self._word('trace state')}"
        item.setdefault("status", {})["message"] = self._word("message of a status")
        item.setdefault("events", []).append({"name": "exception", "timeUnixNano": "1"})
        item.setdefault("links", []).append(
            {"traceId": item["traceId"], "spanId": item["spanId"], "traceState": ""}
        )
        for event in item["events"]:
            event["name"] = self._word("name of an event")
            self._attributes(event, "event", ("exception.message", "gen_ai.prompt", "content"))
        for link in item["links"]:
            link["traceState"] = f"vendor={self._word('trace state of a link')}"
            self._attributes(link, "link", ("note",))

    def _attributes(self, holder: Node, what: str, more: tuple[str, ...]) -> None:
        """Replace what may not be kept, and add what was not there."""
        given = holder.setdefault("attributes", [])
        for pair in given:
            if pair["key"] in _BLOBS and what == "attribute":
                pair["value"] = {"stringValue": self._blob(pair["value"].get("stringValue", ""))}
            elif pair["key"] not in _KEPT or what not in ("attribute", "resource"):
                pair["value"] = self._replaced(pair["value"], f"{what} {pair['key']}")
        there = {pair["key"] for pair in given}
        given += [
            {"key": key, "value": self._value(f"{what} {key}")} for key in more if key not in there
        ]
        given.append(
            {"key": self._word(f"key of {what}"), "value": self._value(f"{what}, own key")}
        )

    def _replaced(self, value: Node, where: str) -> Node:
        """The same kind of value; numbers and flags stay, for they decide what is counted."""
        text = value.get("stringValue")
        if isinstance(text, str):
            return {"stringValue": self._word(where)}
        if "arrayValue" in value:
            values = value["arrayValue"].get("values", [])
            return {"arrayValue": {"values": [self._replaced(each, where) for each in values]}}
        if "kvlistValue" in value:
            pairs = value["kvlistValue"].get("values", [])
            return {
                "kvlistValue": {
                    "values": [
                        {"key": self._word(where), "value": self._replaced(p["value"], where)}
                        for p in pairs
                    ]
                }
            }
        return {"bytesValue": _encoded(self._word(where))} if "bytesValue" in value else value

    def _value(self, where: str) -> Node:
        made: Node = next(self._kinds)(where)
        return made

    def _text(self, where: str) -> Node:
        return {"stringValue": self._word(where)}

    def _bytes(self, where: str) -> Node:
        return {"bytesValue": _encoded(self._word(where))}

    def _list(self, where: str) -> Node:
        return {"arrayValue": {"values": [self._text(where), self._bytes(where)]}}

    def _map(self, where: str) -> Node:
        pair = {"key": self._word(where), "value": self._list(where)}
        return {"kvlistValue": {"values": [pair]}}

    def _blob(self, text: str) -> str:
        """A blob with its counts, words around them, and numbers in a text that look alike."""
        try:
            said = json.loads(text)
        except ValueError:
            return self._word("blob that is not JSON")
        return next(iter(self.blobs(said)))

    def blobs(self, said: Any) -> Iterator[str]:
        """Ways in which content may stand in a blob: JSON, JSON in JSON, and Python's repr."""
        for counted in dialects.BLOB_COUNTS.values():
            for name in counted:
                where = f"blob, quoted {name}"
                fake, word = self._words.number(f"{self._capture}: {where}"), self._word(where)
                texts = (
                    f'{word} "{name}": {fake}',
                    f"{word} {{'{name}': {fake}}}",
                    json.dumps(json.dumps({name: int(fake)})),
                )
                for text in texts:
                    yield json.dumps({"said": text, word: word, "usage": said, "then": text})
                    yield repr({"said": text, word: word, "usage": said, "then": text})
                yield f"{word} said \"{name}\": {fake} and {{'{name}': {fake}}}"

    def _word(self, where: str) -> str:
        return self._words.word(f"{self._capture}: {where}")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
