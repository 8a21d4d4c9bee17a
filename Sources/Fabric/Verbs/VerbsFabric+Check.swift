public import Fabric
internal import Verbs

extension VerbsFabric {
    /// Whether a fabric could be opened here, without opening one.
    /// - Parameters:
    ///   - names: as `ibv_devices` names them, all of which have to be usable; empty for any that are.
    ///   - devicesPerRank: how many of them a rank is to use.
    /// - Throws: `.noDevice`, saying what each device lacks.
    public static func checkDevices(named names: [String] = [], devicesPerRank: Int = 1) throws(FabricError) {
        let inventory = try wrapping(.open) { () throws(VerbsError) in try deviceInventory() }
        for name in names { _ = try DeviceChoice.choices(from: inventory, named: [name], perRank: 1, localRank: 0) }
        _ = try DeviceChoice.choices(from: inventory, named: names, perRank: devicesPerRank, localRank: 0)
    }
}
