// How a wire is divided: each active flow gets an equal part of each of its wires, and goes as fast as the least of them lets it. A channel is
// active while it has a write to send. What a flow cannot use, because another wire holds it up, is not given to others (max-min would):
// so a change concerns only the flows of the wires that it happens on, and no schedule is flattered.
extension World {
    /// Takes a share of the flow's wires for the write at its head.
    mutating func activate(_ flow: Int) {
        flows[flow].isActive = true
        flows[flow].remaining = Double(messages[Int(flows[flow].departing)].byteCount) + flows[flow].backlog
        flows[flow].backlog = 0
        flows[flow].rate = 0
        flows[flow].since = clock
        let link = Int(flows[flow].link)
        for hop in 0..<Int(links[link].wireCount) {
            let wire = Int(links[link].wires[hop])
            flows[flow].places[hop] = Int32(truncatingIfNeeded: wires[wire].active.count)
            wires[wire].active.append(Int32(truncatingIfNeeded: flow))
        }
        shareAgain(link, besides: flow)
        setRate(flow)
    }

    mutating func deactivate(_ flow: Int) {
        guard flows[flow].isActive else { return }
        flows[flow].isActive = false
        let link = Int(flows[flow].link)
        for hop in 0..<Int(links[link].wireCount) {
            let wire = Int(links[link].wires[hop])
            let place = Int(flows[flow].places[hop])
            let moved = wires[wire].active.removeLast()
            guard Int(moved) != flow else { continue }
            wires[wire].active[place] = moved
            let owner = Int(flows[Int(moved)].link)
            for other in 0..<Int(links[owner].wireCount) where Int(links[owner].wires[other]) == wire {
                flows[Int(moved)].places[other] = Int32(truncatingIfNeeded: place)
            }
        }
        shareAgain(link, besides: flow)
    }

    private mutating func shareAgain(_ link: Int, besides flow: Int) {
        for hop in 0..<Int(links[link].wireCount) { shareAgain(wire: Int(links[link].wires[hop]), besides: flow) }
    }

    mutating func shareAgain(wire: Int, besides flow: Int) {
        for index in wires[wire].active.indices where Int(wires[wire].active[index]) != flow { setRate(Int(wires[wire].active[index])) }
    }

    /// Settles what has left so far, and sets the rate and the time at which the rest will have left.
    mutating func setRate(_ flow: Int) {
        let link = Int(flows[flow].link)
        var rate = Double.infinity
        for hop in 0..<Int(links[link].wireCount) { rate = min(rate, wires[Int(links[link].wires[hop])].share) }
        if rate == flows[flow].rate, rate > 0 { return }
        settle(flow)
        flows[flow].rate = rate
        if rate > 0 {
            stopWaiting(link)
            scheduleDeparture(flow)
        } else {
            queue.cancel(slot(.depart, flow))
            waitForWire(link)
        }
    }

    private mutating func settle(_ flow: Int) {
        flows[flow].remaining = max(0, flows[flow].remaining - flows[flow].rate * Double(clock - flows[flow].since))
        flows[flow].since = clock
    }

    mutating func scheduleDeparture(_ flow: Int) {
        schedule(slot(.depart, flow), at: clock + UInt64((flows[flow].remaining / flows[flow].rate).rounded(.up)))
    }

    // MARK: alone

    /// Whether no other flow has ever used the flow's wires. The first flow to come is alone until another comes; what has departed by then stays
    /// as it is, and the newcomer carries as many bytes more as the wire has still to take of it.
    mutating func isAlone(_ flow: Int) -> Bool {
        if flows[flow].alone == 1 { return true }
        let link = Int(flows[flow].link)
        var isAlone = true
        flows[flow].rate = .infinity
        for hop in 0..<Int(links[link].wireCount) {
            let wire = Int(links[link].wires[hop])
            flows[flow].rate = min(flows[flow].rate, wires[wire].bytesPerNanosecond)
            if wires[wire].user == none {
                wires[wire].user = Int32(truncatingIfNeeded: flow)
            } else if Int(wires[wire].user) != flow {
                let first = Int(wires[wire].user)
                if !wires[wire].isShared, flows[first].freeAt > clock {
                    let bytes = Double(flows[first].freeAt - clock) * flows[first].rate
                    flows[flow].backlog = max(flows[flow].backlog, bytes)
                }
                flows[first].alone = 2
                wires[wire].isShared = true
            }
            if wires[wire].isShared { isAlone = false }
        }
        flows[flow].alone = isAlone ? 1 : 2
        return isAlone
    }

    /// Sends what waits, one after the other at the full rate: when each departs is known at once.
    /// - Parameter signalsOnly: only as far as writes carry no bytes, which need no share of anything.
    mutating func departAlone(_ flow: Int, signalsOnly: Bool) {
        let latency = links[Int(flows[flow].link)].latency
        while flows[flow].departed + flows[flow].held < flows[flow].posted {
            let id = Int(flows[flow].departing)
            if signalsOnly, messages[id].byteCount > 0 { return }
            let time = messages[id].byteCount == 0 ? 0 : Double(messages[id].byteCount) / flows[flow].rate
            flows[flow].freeAt = max(messages[id].due, flows[flow].freeAt) + UInt64(time.rounded(.up))
            messages[id].due = flows[flow].freeAt + latency
            flows[flow].lastFlight = messages[id].due
            flows[flow].departed += 1
            flows[flow].departing = flows[flow].departed < flows[flow].posted ? messages[id].next : none
            if flows[flow].flying == none {
                flows[flow].flying = Int32(truncatingIfNeeded: id)
                schedule(slot(.place, flow), at: messages[id].due)
            }
        }
    }
}
