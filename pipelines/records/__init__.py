"""Records on disk: the only room that knows file names, shards, the manifest and the framing."""
