"""Makes music with a trained model.

The config says which system: ./run.sh configs lists them. Each system has flags of its own;
./run.sh generate --config=NAME --help shows them, and without a config those of MusicVAE.
"""

from pipelines.systems import programs

if __name__ == "__main__":
    programs.run("generate")
