// SPDX-License-Identifier: Apache-2.0

package command

import "foliot/internal/cmdmon"

// body returns where the data of a command goes that changes something, nil if it
// has none.
func body(c cmdmon.Command) cmdmon.Request {
	switch c {
	case cmdmon.Online, cmdmon.Offline:
		return new(cmdmon.Masked)
	case cmdmon.Burst:
		return new(cmdmon.BurstRequest)
	case cmdmon.ModifyMinPoll, cmdmon.ModifyMaxPoll, cmdmon.ModifyMinStratum, cmdmon.ModifyPollTarget:
		return new(cmdmon.SourceInteger)
	case cmdmon.ModifyMaxDelay, cmdmon.ModifyDelayRatio, cmdmon.ModifyDevRatio:
		return new(cmdmon.SourceFloat)
	case cmdmon.ModifyUpdateSkew, cmdmon.DoFreq, cmdmon.DoOffset, cmdmon.ReselectDistance:
		return new(cmdmon.Number)
	case cmdmon.Manual, cmdmon.SmoothTime:
		return new(cmdmon.Option)
	case cmdmon.SetTime:
		return new(cmdmon.Instant)
	case cmdmon.Allow, cmdmon.AllowAll, cmdmon.Deny, cmdmon.DenyAll,
		cmdmon.CmdAllow, cmdmon.CmdAllowAll, cmdmon.CmdDeny, cmdmon.CmdDenyAll:
		return new(cmdmon.Subnet)
	case cmdmon.AccessCheck, cmdmon.CmdAccessCheck, cmdmon.DelSource:
		return new(cmdmon.Address)
	case cmdmon.ManualDelete:
		return new(cmdmon.Index)
	case cmdmon.ModifyMakeStep:
		return new(cmdmon.StepLimit)
	case cmdmon.AddSource:
		return new(cmdmon.AddSourceRequest)
	case cmdmon.ModifySelectOpts:
		return new(cmdmon.SelectOptsRequest)
	case cmdmon.ModifyOffset:
		return new(cmdmon.OffsetRequest)
	case cmdmon.Local2:
		return new(cmdmon.LocalOlder)
	case cmdmon.Local3:
		return new(cmdmon.Local)
	}
	return nil
}
