// VerbsFabric
