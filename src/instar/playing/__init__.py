"""Learning to act: rounds of episodes, of which those that went well become examples (the cross-entropy method)."""
