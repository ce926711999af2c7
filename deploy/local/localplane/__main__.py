"""`python -m localplane build` builds the programs."""

import sys

from localplane.build import BuildError, binaries

if __name__ == "__main__":
    try:
        for name, path in binaries().items():
            print(f"{name:<24} {path}")
    except BuildError as error:
        sys.exit(str(error))
