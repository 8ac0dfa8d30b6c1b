-- The names that an organisation has used on a day.
SELECT
{% for name, columns in dimensions.items() %}
       groupUniqArrayArray([{{ columns | join(', ') }}]) AS {{ name }}{{ ',' if not loop.last }}
{% endfor %}
FROM usage_hourly
WHERE org_id = {org:String} AND hour >= toDateTime({day:Date}, 'UTC') AND hour < toDateTime({day:Date} + 1, 'UTC')
