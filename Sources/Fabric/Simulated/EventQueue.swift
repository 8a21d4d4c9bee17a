/// What happens next: a heap of at most one time for each of a fixed set of slots, so that a time is moved and not doubled.
///
/// Flat arrays that grow with the number of slots only: no allocation for an event. Events of the same time come in the order of their
/// `order`, then of their slots: deterministic.
struct EventQueue {
    struct Event {
        var time: UInt64
        var order: UInt32
        var slot: Int32
    }

    /// Children of an entry: four share a cache line.
    private static var arity: Int { 4 }

    private var heap: [Event] = []
    /// Place of each slot in the heap, -1 for none.
    private var places: [Int32] = []

    var next: Event? { heap.first }

    /// The one after `next`, unless another comes in between.
    var second: Event? {
        guard heap.count > 1 else { return nil }
        var least = heap[1]
        for place in 2..<max(2, min(Self.arity + 1, heap.count)) where Self.isBefore(heap[place], least) { least = heap[place] }
        return least
    }

    mutating func addSlots(_ count: Int) {
        places += repeatElement(-1, count: count)
        heap.reserveCapacity(places.count)
    }

    func time(of slot: Int) -> UInt64? { places[slot] < 0 ? nil : heap[Int(places[slot])].time }

    /// Sets the slot's time, whatever it was.
    mutating func schedule(_ slot: Int, at time: UInt64, order: UInt32) {
        let event = Event(time: time, order: order, slot: Int32(truncatingIfNeeded: slot))
        let place = Int(places[slot])
        if place < 0 {
            heap.append(event)
            rise(event, from: heap.count - 1)
        } else if Self.isBefore(event, heap[place]) {
            rise(event, from: place)
        } else {
            sink(event, from: place)
        }
    }

    mutating func cancel(_ slot: Int) {
        let place = Int(places[slot])
        guard place >= 0 else { return }
        places[slot] = -1
        let last = heap.removeLast()
        guard place < heap.count else { return }
        if Self.isBefore(last, heap[place]) { rise(last, from: place) } else { sink(last, from: place) }
    }

    mutating func popFirst() -> Event? {
        guard let first = heap.first else { return nil }
        places[Int(first.slot)] = -1
        let last = heap.removeLast()
        if !heap.isEmpty { sink(last, from: 0) }
        return first
    }

    private static func isBefore(_ left: Event, _ right: Event) -> Bool {
        if left.time != right.time { return left.time < right.time }
        return left.order != right.order ? left.order < right.order : left.slot < right.slot
    }

    private mutating func rise(_ event: Event, from start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / Self.arity
            guard Self.isBefore(event, heap[parent]) else { break }
            put(heap[parent], at: place)
            place = parent
        }
        put(event, at: place)
    }

    private mutating func sink(_ event: Event, from start: Int) {
        var place = start
        while true {
            let first = place * Self.arity + 1
            guard first < heap.count else { break }
            var least = first
            for child in first + 1..<max(first + 1, min(first + Self.arity, heap.count)) where Self.isBefore(heap[child], heap[least]) {
                least = child
            }
            guard Self.isBefore(heap[least], event) else { break }
            put(heap[least], at: place)
            place = least
        }
        put(event, at: place)
    }

    private mutating func put(_ event: Event, at place: Int) {
        heap[place] = event
        places[Int(event.slot)] = Int32(truncatingIfNeeded: place)
    }
}
