"""`python -m chatproof`: the command line without its script."""

from chatproof.cli import main

if __name__ == "__main__":
    main(prog_name="chatproof")
