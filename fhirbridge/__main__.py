"""`python -m fhirbridge` is the command line."""

from fhirbridge.cli import main

if __name__ == "__main__":
    main()
