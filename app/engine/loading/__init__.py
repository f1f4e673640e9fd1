"""From what a person names to a model that stands ready: specs, checkpoints and inputs."""
