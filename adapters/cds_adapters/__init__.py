"""Everything that touches the outside world: FHIR, HTTP, databases, files, terminals."""
