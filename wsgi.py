"""For any WSGI server: `gunicorn wsgi:application`. `fhirbridge serve` also delivers."""

from fhirbridge import log
from fhirbridge.web.app import create_app

log.configure()
application = create_app()
