"""FHIR R4 in and out: typed decoding into events, orders and sample records out."""
