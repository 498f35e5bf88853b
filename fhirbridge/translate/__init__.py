"""STEP 2.

Record and mapping set to FHIR resources, each with its why. Pure: no clock, no I/O after load.
"""
