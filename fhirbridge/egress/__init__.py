"""The one way out: every connection to another machine is checked, bounded and opened here."""
