"""Rules of disaster recovery over a plan: `reading` makes the nouns of `planned`, `judging` asks the rules of `registry`."""
