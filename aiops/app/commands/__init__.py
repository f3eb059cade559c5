"""The commands, by what people want: run, look, say, rehearse, write policies, keep the store."""
