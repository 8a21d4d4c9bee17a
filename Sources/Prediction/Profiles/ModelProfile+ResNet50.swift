extension ModelProfile {
    /// ResNet-50 for images of 224 x 224: 25,557,032 parameters in 161 tensors.
    ///
    /// Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, table 1; the stride is in the 3 x 3 convolution, as frameworks
    /// have it. Time is divided by multiply-additions; batch norm and activations count with the convolution before them.
    /// - Parameters:
    ///   - batch: images of a rank's step.
    ///   - imagesPerSecond: of a rank alone.
    public static func resNet50(batch: Int = 32, imagesPerSecond: Double = 360) -> ModelProfile {
        var work: [Work] = []
        func convolve(_ name: String, _ side: Int, from inputs: Int, to outputs: Int, kernel: Int) {
            let weights = kernel * kernel * inputs * outputs
            work.append(Work(name: name, parameters: [weights, outputs, outputs], forward: Double(weights * side * side)))
        }
        convolve("conv1", 112, from: 3, to: 64, kernel: 7)
        var inputs = 64
        for (stage, (blocks, width, side)) in [(3, 64, 56), (4, 128, 28), (6, 256, 14), (3, 512, 7)].enumerated() {
            for block in 0..<blocks {
                let name = "layer\(stage + 1).\(block)"
                // The first 1 x 1 of a stage still sees the larger image.
                convolve(name + ".conv1", block == 0 && stage > 0 ? 2 * side : side, from: inputs, to: width, kernel: 1)
                convolve(name + ".conv2", side, from: width, to: width, kernel: 3)
                convolve(name + ".conv3", side, from: width, to: 4 * width, kernel: 1)
                if block == 0 { convolve(name + ".downsample", side, from: inputs, to: 4 * width, kernel: 1) }
                inputs = 4 * width
            }
        }
        work.append(Work(name: "fc", parameters: [inputs * 1000, 1000], forward: Double(inputs * 1000)))
        // SGD with momentum reads three arrays and writes two, at about 50 GB/s.
        let elements = work.reduce(0) { $0 + $1.parameters.reduce(0, +) }
        let optimizer = Double(elements * 4 * 5) / 50e9
        return ModelProfile(
            name: "resnet50", batch: batch, samplesPerEpoch: 1_281_167,
            layers: layers(work, batch: batch, samplesPerSecond: imagesPerSecond, optimizerSeconds: optimizer), optimizerSeconds: optimizer,
            spread: 0.01, source: "layers published (He et al. 2016), divided by multiply-additions; \(imagesPerSecond) images/s given")
    }
}
