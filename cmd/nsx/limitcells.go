package main

import (
	"math"
	"strconv"

	"nsx/cgroupfs"
	"nsx/output"
)

// resourceName is "memory", or "io.rbps vda".
func resourceName(e *cgroupfs.Effective) string {
	if e.Device == nil {
		return e.Resource
	}
	return e.Resource + " " + e.Device.String()
}

// limitCell is a limit, as far as it is known.
func limitCell(e *cgroupfs.Effective) output.Cell {
	var cell output.Cell
	_, limited := e.Limit.Get()
	switch {
	case e.List != nil && *e.List == "":
		cell = output.Text("none")
	case e.List != nil:
		cell = output.Text(*e.List)
	case limited:
		cell = amount(e, e.Limit)
	case !e.Known:
		return output.Unknown()
	default:
		return output.Text("max").With(output.Dim)
	}
	if !e.Known {
		return cell.As("≤" + cell.String())
	}
	return cell
}

// amount shows a number in its unit.
func amount(e *cgroupfs.Effective, v cgroupfs.Value[float64]) output.Cell {
	n, ok := v.Get()
	switch {
	case v.Err() != nil:
		return output.Unknown()
	case !ok:
		return output.None()
	}
	switch e.Unit {
	case "bytes":
		return output.Float(n).As(roundSize(n))
	case "bytes_per_second":
		return output.Float(n).As(roundSize(n) + "/s")
	case "operations_per_second":
		return output.Float(n).As(strconv.FormatFloat(n, 'f', -1, 64) + "/s")
	case "cpus":
		return output.Float(n)
	default:
		return output.Int(int64(n))
	}
}

// roundSize is a size to read at a glance: "1.5G", "512M", "12K".
func roundSize(n float64) string {
	const units = "KMGTP"
	if math.Abs(n) < 1024 {
		return strconv.FormatInt(int64(n), 10)
	}
	for i := range units {
		n /= 1024
		if math.Abs(n) < 1024 || i == len(units)-1 {
			digits := 1
			if n == math.Trunc(n) || math.Abs(n) >= 100 {
				digits = 0
			}
			return strconv.FormatFloat(n, 'f', digits, 64) + units[i:i+1]
		}
	}
	return ""
}
