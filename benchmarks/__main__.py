"""``make bench``: every measurement, one after the other."""

from benchmarks import decide, estimate, history, policy_tree, replay, service, values

for measured in (decide, service, history, estimate, values, policy_tree, replay):
    measured.main()
