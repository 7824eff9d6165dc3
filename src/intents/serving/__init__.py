"""Behind MLflow's predict: what is refused, how requests share the processor, and the network's fastest form."""
