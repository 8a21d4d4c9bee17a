public import Fabric
internal import Verbs

extension VerbsFabric {
    /// Whether a fabric could be opened here, without opening one.
    /// - Parameter name: as `ibv_devices` names it; nil for any usable device.
    /// - Throws: `.noDevice`, saying what each device lacks.
    public static func checkDevice(named name: String?) throws(FabricError) {
        let inventory = try wrapping(.open) { () throws(VerbsError) in try deviceInventory() }
        _ = try DeviceChoice(from: inventory, named: name, localRank: 0)
    }
}
