"""What lasts: rule bundles in a directory, audit records and feedback in a database."""
