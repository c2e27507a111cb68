"""What is below deploy/, the image's files and the release, each checked by the tool that will read it."""
