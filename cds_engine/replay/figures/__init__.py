"""The decision-point table becomes figures: plain data, refused where too little was seen."""
