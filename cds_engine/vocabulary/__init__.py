"""What a regime can speak about: variables, actions, codes, units, durations, values."""
