"""The HTTP door: clinics send records here and see what became of them. Every route is denied unless declared."""
