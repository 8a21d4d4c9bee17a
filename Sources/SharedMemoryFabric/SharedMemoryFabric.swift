// SharedMemoryFabric
