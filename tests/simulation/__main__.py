"""`python -m tests.simulation SEED` tells the story of one seed."""

import sys

from tests.simulation.place import remembering
from tests.simulation.sim import Simulation

with remembering():
    simulation = Simulation(int(sys.argv[1]))
    try:
        ran = simulation.run()
    finally:
        sys.stdout.write("\n".join(simulation.scene.trace) + "\n")
sys.stdout.write(f"{dict(ran.counts)}\n{ran.digest}\n")
