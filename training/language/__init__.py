"""The language of the small drawn world: prompts, descriptions, questions, instructions, plain talk and thoughts."""
