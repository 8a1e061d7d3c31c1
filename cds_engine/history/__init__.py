"""Events known at an instant become H_t: a value, or the reason why there is none."""
