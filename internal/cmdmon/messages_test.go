// SPDX-License-Identifier: Apache-2.0

package cmdmon

// requests holds one message for each kind of request data.
func requests() map[string]Request {
	return map[string]Request{
		"index": new(Index), "clients": new(ClientsRequest), "subnet": new(Subnet), "local": new(Local),
		"local older": new(LocalOlder), "address": new(Address), "masked": new(Masked), "burst": new(BurstRequest),
		"integer": new(SourceInteger), "float": new(SourceFloat), "number": new(Number), "option": new(Option),
		"instant": new(Instant), "step limit": new(StepLimit), "selectopts": new(SelectOptsRequest),
		"offset": new(OffsetRequest), "add": new(AddSourceRequest),
	}
}

// replies holds one message for each kind of reply but the empty one.
func replies() []Reply {
	return []Reply{
		new(NSourcesReply), new(SourceDataReply), new(TrackingReply), new(SourceStatsReply), new(RTCReply),
		new(ActivityReply), new(SmoothingReply), new(NTPData1Reply), new(ManualTimestampReply), new(ManualListReply),
		new(SourceNameReply), new(AuthDataReply), new(ClientsReply), new(SelectDataReply), new(ServerStats3Reply),
		new(ServerStatsReply), new(NTPDataReply),
	}
}

// dataOf is the kind of data of each command that has some.
var dataOf = map[Command]string{
	Online: "masked", Offline: "masked", Burst: "burst", ModifyMinPoll: "integer", ModifyMaxPoll: "integer",
	ModifyMinStratum: "integer", ModifyPollTarget: "integer", ModifyMaxDelay: "float", ModifyDelayRatio: "float",
	ModifyDevRatio: "float", Dump: "option", ModifyUpdateSkew: "number", SetTime: "instant", Manual: "option",
	SourceData: "index", Allow: "subnet", AllowAll: "subnet", Deny: "subnet", DenyAll: "subnet", CmdAllow: "subnet",
	CmdAllowAll: "subnet", CmdDeny: "subnet", CmdDenyAll: "subnet", AccessCheck: "address", CmdAccessCheck: "address",
	DelSource: "address", DoFreq: "number", DoOffset: "number", SourceStats: "index", ManualDelete: "index",
	ReselectDistance: "number", ModifyMakeStep: "step limit", SmoothTime: "option", NTPData: "address",
	AddSource: "add", SourceName: "address", AuthData: "address", Clients: "clients", SelectData: "index",
	ModifySelectOpts: "selectopts", ModifyOffset: "offset", Local3: "local", Local2: "local older",
}
