{# The values of attributes as they lie on the wire. The engine's reader takes 0.08 µs to open one and 0.03 µs to hand over its
   bytes, and a span has many that nobody reads: so those of wanted keys are opened here, and no others.

   A value is a tag and what it holds: `0a <length> <text>`, `10 <bool>`, `18 <varint>` or `21 <8 bytes>`. One of any other
   kind is as good as none, and so is what no encoder writes, such as two of them. #}
{# Steps from `opened`, which has the attributes of each span as keys and bytes, to `coded`, which has codes and values. #}
{% macro steps(keys, codes) -%}
    named AS
    (
        SELECT * EXCEPT (keys), arrayMap(k -> transform(k, {{ keys }}, {{ codes }}, toUInt32(0)), keys) AS all_codes
        FROM opened
    ),
    wanted AS
    (
        SELECT * EXCEPT (all_codes, values),
               arrayFilter(c -> c != 0, all_codes) AS codes,
               arrayFilter((v, c) -> c != 0, values, all_codes) AS held
        FROM named
    ),
    headed AS  -- the first eight bytes as a number, whose lowest byte is the tag
    (
        SELECT *,
               arrayMap(v -> reinterpretAsUInt64(substring(v, 1, 8)), held) AS heads,
               arrayMap(h -> toUInt8(bitAnd(h, 255)), heads) AS tags
        FROM wanted
    ),
    coded AS
    (
        SELECT * EXCEPT (held, heads, tags),
               arrayMap((v, h, t) -> substring(v, 2 + {{ width('h') }}, (t = {{ 0x0A }}) * {{ length('h') }}), held, heads, tags) AS texts,
               arrayMap((n, t) -> if(t = {{ 0x18 }}, n, NULL), {{ varints('heads') }}, tags) AS ints,
               arrayMap((v, t) -> if(t = {{ 0x21 }}, reinterpretAsFloat64(substring(v, 2, 8)), NULL), held, tags) AS doubles,
               arrayMap((h, t) -> t = {{ 0x10 }} AND bitAnd(h, {{ 0xFF00 }}) != 0, heads, tags) AS bools
        FROM headed
    ),
{%- endmacro %}
{# The length behind a tag: whether it takes a second, third and fourth byte; how many it takes; its value, seven bits a byte. #}
{% macro takes(head, bytes) -%}
{% set high_bits = {2: 0x8000, 3: 0x808000, 4: 0x80808000}[bytes] -%}
(bitAnd({{ head }}, {{ high_bits }}) = {{ high_bits }})
{%- endmacro %}
{% macro width(head) -%} (1 + {{ takes(head, 2) }} + {{ takes(head, 3) }} + {{ takes(head, 4) }}) {%- endmacro %}
{% macro length(head) -%}
(bitAnd(bitShiftRight({{ head }}, 8), 127)
 {%- for bytes in (2, 3, 4) %} + {{ takes(head, bytes) }} * bitAnd(bitShiftRight({{ head }}, {{ 7 + bytes }}), {{ 127 * 128 ** (bytes - 1) }}){% endfor %})
{%- endmacro %}
{# The number behind each tag. Its bytes end with the first that has no high bit, and the seven bits of each are drawn together
   by twos, fours and eights. −1 for one of more than seven bytes: it is negative or beyond every limit. #}
{% set high_bits = 0x8080808080808000 %}
{% macro varints(heads) -%}
arrayMap((h, n) -> if(bitAnd(h, {{ high_bits }}) = {{ high_bits }}, -1, toInt64(n)), {{ heads }},
    arrayMap(n -> bitAnd(n, {{ 0x0FFFFFFF }}) + bitShiftRight(bitAnd(n, {{ 0x0FFFFFFF00000000 }}), 4),
    arrayMap(n -> bitAnd(n, {{ 0x00003FFF00003FFF }}) + bitShiftRight(bitAnd(n, {{ 0x3FFF00003FFF0000 }}), 2),
    arrayMap(n -> bitAnd(n, {{ 0x007F007F007F007F }}) + bitShiftRight(bitAnd(n, {{ 0x7F007F007F007F00 }}), 1),
    arrayMap((h, e) -> bitAnd(bitShiftRight(bitAnd(h, bitXor(e, e - 1)), 8), {{ 0x7F7F7F7F7F7F7F }}), {{ heads }},
    arrayMap(h -> bitAnd(bitNot(h), {{ high_bits }}), {{ heads }}))))))
{%- endmacro %}
