// What the world looks at, event by event, when it checks. The first broken promise is kept, and nothing runs after it.
extension World {
    mutating func violate(_ kind: Violation.Kind, rank: Int, _ detail: String) {
        guard violation == nil else { return }
        violation = Violation(
            kind: kind, rank: Int(ranks[rank].host), atNanoseconds: clock, detail: detail, trace: trace.lines(names: names))
    }

    func name(of id: Int) -> String {
        let flow = flows[Int(messages[id].owner)]
        let link = links[Int(flow.link)]
        return "write \(messages[id].ticket) of \(name(ofRank: Int(link.rank))) to \(name(ofRank: Int(link.peer)))/\(flow.index) "
            + "(\(messages[id].byteCount) bytes from "
            + "\(messages[id].sourceOffset) of region \(messages[id].sourceRegion) to \(messages[id].destinationOffset) of region "
            + "\(messages[id].destinationRegion))"
    }

    // MARK: a write's life

    mutating func checkPosted(_ id: Int, flow: Int, by rank: Int) {
        let waiting = flows[flow].posted - flows[flow].taken
        if waiting > UInt64(ranks[rank].arrivalDepth) {
            violate(
                .arrivalDepth, rank: rank,
                "\(name(of: id)) is number \(waiting) on the way or unread, \(ranks[rank].arrivalDepth) are allowed")
        }
        guard options.payload != .none else { return }
        messages[id].checksum = checksum(of: id, by: rank)
        if ranks[rank].writesCompleteAtOnce { return }
        ranks[rank].outstanding.append(Int32(truncatingIfNeeded: id))
    }

    /// Whether the bytes may go where they are to go, now.
    mutating func mayPlace(_ id: Int, from sender: Int, to receiver: Int) -> Bool {
        guard ranks[sender].regions[Int(messages[id].sourceRegion)].isLive else {
            violate(.regionGivenBack, rank: sender, "\(name(of: id)) reads a region that was given back")
            return false
        }
        guard ranks[receiver].regions[Int(messages[id].destinationRegion)].isLive else {
            violate(.regionGivenBack, rank: sender, "\(name(of: id)) falls on a region that was given back")
            return false
        }
        if !messages[id].isOverwritten, checksum(of: id, by: sender) != messages[id].checksum {
            violate(.sourceChanged, rank: sender, "\(name(of: id)) would carry other bytes than were posted")
        }
        if isClaimed(by: sender, source(of: id)) || isClaimed(by: receiver, destination(of: id)) {
            violate(.trainersMemory, rank: sender, "\(name(of: id)) touches memory that is the trainer's again")
        }
        let target = destination(of: id)
        for other in ranks[receiver].unread where options.isStrict && destination(of: Int(other)).overlaps(target) {
            violate(.unreadOverwritten, rank: sender, "\(name(of: id)) falls on \(name(of: Int(other))), whose arrival nobody has taken")
        }
        for other in ranks[receiver].outstanding where source(of: Int(other)).overlaps(target) {
            if options.isStrict, !messages[Int(other)].isPlaced {
                violate(.sourceChanged, rank: sender, "\(name(of: id)) falls on the source of \(name(of: Int(other))), which is yet to go")
            }
            messages[Int(other)].isOverwritten = true
        }
        ranks[receiver].unread.append(Int32(truncatingIfNeeded: id))
        return true
    }

    mutating func checkPlaced(_ id: Int, flow: Int) {
        if messages[id].ticket != flows[flow].placed + 1 {
            violate(.delivery, rank: Int(links[Int(flows[flow].link)].rank), "\(name(of: id)) comes after \(flows[flow].placed)")
        }
    }

    mutating func checkTaken(_ id: Int, flow: Int, by rank: Int) {
        if messages[id].ticket != flows[flow].taken {
            violate(.delivery, rank: rank, "\(name(of: id)) is taken as number \(flows[flow].taken)")
        }
        if let place = ranks[rank].unread.firstIndex(of: Int32(truncatingIfNeeded: id)) { ranks[rank].unread.remove(at: place) }
    }

    mutating func checkAcknowledged(_ id: Int, by rank: Int) {
        if messages[id].ticket != flows[Int(messages[id].owner)].acknowledged {
            violate(.delivery, rank: rank, "\(name(of: id)) is acknowledged as number \(flows[Int(messages[id].owner)].acknowledged)")
        }
        guard options.payload != .none, !ranks[rank].writesCompleteAtOnce else { return }
        if let place = ranks[rank].outstanding.firstIndex(of: Int32(truncatingIfNeeded: id)) { ranks[rank].outstanding.remove(at: place) }
        guard !messages[id].isOverwritten, !ranks[rank].isDead, !ranks[rank].isClosed,
            ranks[rank].regions[Int(messages[id].sourceRegion)].isLive
        else { return }
        if checksum(of: id, by: rank) != messages[id].checksum {
            violate(.sourceChanged, rank: rank, "the source of \(name(of: id)) changed before its completion")
        }
    }

    mutating func checkClosing(_ link: Int, of rank: Int) {
        for flow in Int(links[link].firstFlow)..<Int(links[link].firstFlow) + options.channelsPerPeer
        where flows[flow].posted != flows[flow].reported {
            violate(
                .closedTooEarly, rank: rank,
                "\(flows[flow].posted - flows[flow].reported) writes to \(name(ofRank: Int(links[link].peer))) were not completed when it closed"
            )
        }
    }

    mutating func checkReleasing(_ region: Int, of rank: Int) {
        for id in ranks[rank].outstanding where Int(messages[Int(id)].sourceRegion) == region {
            violate(.regionGivenBack, rank: rank, "region \(region) is given back while \(name(of: Int(id))) is not completed")
        }
    }

    // MARK: places

    struct Place {
        var region: Int32
        var range: Range<Int>

        func overlaps(_ other: Place) -> Bool { region == other.region && range.overlaps(other.range) }
    }

    private func source(of id: Int) -> Place {
        let start = messages[id].sourceOffset
        return Place(region: messages[id].sourceRegion, range: start..<start + messages[id].byteCount)
    }

    private func destination(of id: Int) -> Place {
        let start = messages[id].destinationOffset
        return Place(region: messages[id].destinationRegion, range: start..<start + messages[id].byteCount)
    }

    private func isClaimed(by rank: Int, _ place: Place) -> Bool {
        ranks[rank].claims.contains { Place(region: $0.region, range: $0.range).overlaps(place) }
    }

    // MARK: the end

    /// What is still under way between ranks that live, one line each.
    func leftovers() -> [String] {
        var lines: [String] = []
        for flow in flows {
            let link = links[Int(flow.link)]
            guard !link.isBroken, !links[Int(link.reverse)].isBroken, !ranks[Int(link.rank)].isDead, !ranks[Int(link.peer)].isDead else {
                continue
            }
            if flow.posted != flow.reported || flow.posted != flow.taken {
                lines.append(
                    "\(name(ofRank: Int(link.rank))) to \(name(ofRank: Int(link.peer)))/\(flow.index): \(flow.posted) posted, \(flow.placed) in memory, "
                        + "\(flow.taken) taken, \(flow.reported) completed")
            }
        }
        return lines
    }
}
