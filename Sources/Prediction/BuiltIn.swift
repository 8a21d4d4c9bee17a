extension ModelProfile {
    public static let names = ["resnet50", "gpt2-small", "llama-8b"]

    /// A built-in profile; nil where there is none of this name.
    public static func named(_ name: String) -> ModelProfile? {
        switch name {
        case "resnet50": .resNet50()
        case "gpt2-small": .gpt2Small()
        case "llama-8b": .llama8B()
        default: nil
        }
    }
}

extension Cluster {
    public static let names = ["ideal"] + ReferenceSystem.names

    /// A built-in cluster; nil where there is none of this name.
    public static func named(_ name: String) -> Cluster? {
        switch name {
        case "ideal": Cluster(name: "ideal")
        default: ReferenceSystem.named(name)?.cluster
        }
    }
}
