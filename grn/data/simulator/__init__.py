"""Expression under a random signed network: the network, its kinetics, the noise of counting."""
