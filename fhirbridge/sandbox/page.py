"""The sandbox's page for people: what this is, and what it holds."""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ name }}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
.warning { border: 2px solid #8a5a00; background: #fff6e0; color: #3d2800; padding: .75rem 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid #ccc; }
td:nth-child(2) { text-align: right; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
<h1>{{ name }}</h1>
<p class="warning"><strong>{{ warning }}</strong></p>
<p>A small FHIR R4 server for trying fhirbridge without an EHR. Its base address is
<code>{{ request.host_url }}fhir</code>; what it can do is in its
<a href="/fhir/metadata">CapabilityStatement</a>.</p>
<h2>What it holds</h2>
{% if counts %}
<table>
<thead>
<tr><th scope="col">Resource</th><th scope="col">Held</th><th scope="col">Past</th></tr>
</thead>
<tbody>
{% for type, count in counts.items() %}
<tr><td><a href="/fhir/{{ type }}?_count=1000">{{ type }}</a></td><td>{{ count }}</td>
<td><a href="/fhir/{{ type }}/_history?_count=1000">history of {{ type }}</a></td></tr>
{% endfor %}
</tbody>
</table>
<p><a href="/fhir/_history?_count=100">The last 100 changes</a></p>
{% else %}
<p>Nothing yet. Send it a session, and look again.</p>
{% endif %}
</body>
</html>
"""
