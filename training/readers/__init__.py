"""One reader for each data set: its files on disk -> a `Dataset` of entries, not yet decoded."""
