// SPDX-License-Identifier: Apache-2.0

package udpstamp

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// RxFilter says which arriving packets a network card stamps, the values of
// enum hwtstamp_rx_filters (linux/net_tstamp.h).
type RxFilter int32

// Receive filters. A card may stamp more than was asked for.
const (
	RxNone RxFilter = unix.HWTSTAMP_FILTER_NONE
	RxAll  RxFilter = unix.HWTSTAMP_FILTER_ALL
	RxPTP  RxFilter = unix.HWTSTAMP_FILTER_PTP_V2_EVENT
	RxNTP  RxFilter = unix.HWTSTAMP_FILTER_NTP_ALL
)

// HardwareCaps is what the driver of a network card says of its stamping.
type HardwareCaps struct {
	Tx, Rx  bool // stamps of departures, of arrivals
	PHC     int  // index of its clock, /dev/ptpN; -1 if none
	filters uint32
}

// Stamps tells whether the card can be told to stamp what f selects.
func (c HardwareCaps) Stamps(f RxFilter) bool { return c.Rx && c.filters>>uint(f)&1 == 1 }

// Hardware asks the driver of an interface what it can stamp.
func Hardware(iface string) (HardwareCaps, error) {
	fd, err := controlSocket()
	if err != nil {
		return HardwareCaps{}, err
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolTsInfo(fd, iface)
	if err != nil {
		return HardwareCaps{}, hardwareError("read hardware timestamping of "+iface, err)
	}
	return HardwareCaps{
		Tx:      info.So_timestamping&unix.SOF_TIMESTAMPING_TX_HARDWARE != 0,
		Rx:      info.So_timestamping&unix.SOF_TIMESTAMPING_RX_HARDWARE != 0,
		PHC:     int(info.Phc_index),
		filters: info.Rx_filters,
	}, nil
}

// EnableHardware turns on the stamps of departures and of the arrivals that
// filter selects on a network card, for the whole machine, and returns the
// filter that the driver chose. It needs CAP_NET_ADMIN. An [UnsupportedError]
// says that the driver cannot.
func EnableHardware(iface string, filter RxFilter) (RxFilter, error) {
	fd, err := controlSocket()
	if err != nil {
		return RxNone, err
	}
	defer unix.Close(fd)
	cfg := unix.HwTstampConfig{Tx_type: unix.HWTSTAMP_TX_ON, Rx_filter: int32(filter)}
	if err := unix.IoctlSetHwTstamp(fd, iface, &cfg); err != nil {
		return RxNone, hardwareError("enable hardware timestamping on "+iface, err)
	}
	return RxFilter(cfg.Rx_filter), nil
}

func controlSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	return fd, nil
}

func hardwareError(op string, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ERANGE) || errors.Is(err, unix.ENOTTY) {
		err = &UnsupportedError{Feature: "hardware timestamping"}
	} else {
		err = os.NewSyscallError("ioctl", err)
	}
	return fmt.Errorf("%s: %w", op, err)
}
