import Testing

@testable import Trainer

@Suite("Generated digits")
struct GeneratedDigitsTests {
    /// Computed once on x86-64; another machine or compiler that gives other bytes breaks the promise of the type.
    @Test("are the same bytes everywhere")
    func fingerprint() {
        let split = GeneratedDigits.split(seed: 1, trainingCount: 40, heldOutCount: 10)
        #expect(Fingerprint.data(split) == "ce49da0b2e21f20fbbcc1e0ebcda8b99c33e7fa7809eee10d398de463503e2c8")
    }

    @Test("depend on the seed")
    func seeds() {
        let first = GeneratedDigits.images(seed: 1, range: 0..<5)
        #expect(first.pixels == GeneratedDigits.images(seed: 1, range: 0..<5).pixels)
        #expect(first.pixels != GeneratedDigits.images(seed: 2, range: 0..<5).pixels)
    }

    @Test("of one index are the same in every set")
    func independentOfCount() {
        let split = GeneratedDigits.split(seed: 3, trainingCount: 6, heldOutCount: 4)
        let all = GeneratedDigits.images(seed: 3, range: 0..<10)
        #expect(split.images.training.pixels + split.images.heldOut.pixels == all.pixels)
        #expect(split.images.training.labels + split.images.heldOut.labels == all.labels)
    }

    @Test("show ink and paper in each image, and every digit")
    func contents() {
        let images = GeneratedDigits.images(seed: 1, range: 0..<200)
        #expect(images.rows == 28 && images.columns == 28)
        #expect(Set(images.labels).count == 10)
        for index in 0..<images.count {
            let image = images.pixels[index * 784..<(index + 1) * 784]
            let dark = image.count { $0 > 110 }
            #expect(dark > 15 && dark < 400, "image \(index) of digit \(images.labels[index]) has \(dark) dark pixels")
        }
    }
}
