"""Scriba's tests. Those of one package of the source are in the folder of the same name."""
