"""``make bench``: every measurement, one after the other."""

from benchmarks import decide, service

decide.main()
service.main()
