"""The embedded Korean-English phrasebook: a grammar and a lexicon that write a parallel corpus."""
