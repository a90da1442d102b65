// Package measure makes instruments of OpenTelemetry's metric API. What they measure goes nowhere unless the process
// sets a provider, so that who measures depends on no SDK. Each is a row of the list in infra/README.md, with its name,
// unit and meaning, in the words of the code.
//
// An instrument that can't be made is a fault of ours, which shows as soon as the process starts: it panics.
package measure

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Meter is the meter of a package of this module, by its folder.
func Meter(folder string) metric.Meter { return otel.Meter("earshot.dev/" + folder) }

// Counter counts what happens. Units are UCUM's.
func Counter(m metric.Meter, name, unit, meaning string) metric.Int64Counter {
	return must(m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(meaning)))
}

// Sum adds up amounts that are no whole numbers.
func Sum(m metric.Meter, name, unit, meaning string) metric.Float64Counter {
	return must(m.Float64Counter(name, metric.WithUnit(unit), metric.WithDescription(meaning)))
}

// UpDown counts what is there now.
func UpDown(m metric.Meter, name, unit, meaning string) metric.Int64UpDownCounter {
	return must(m.Int64UpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(meaning)))
}

// Gauge is what somebody has found last.
func Gauge(m metric.Meter, name, unit, meaning string) metric.Float64Gauge {
	return must(m.Float64Gauge(name, metric.WithUnit(unit), metric.WithDescription(meaning)))
}

// Histogram is how amounts are spread, with the upper bounds of its buckets.
func Histogram(m metric.Meter, name, unit, meaning string, bounds ...float64) metric.Float64Histogram {
	return must(m.Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(meaning),
		metric.WithExplicitBucketBoundaries(bounds...)))
}

// Observed is a Counter that is counted elsewhere, and asked for when it is sent.
func Observed(m metric.Meter, name, unit, meaning string) metric.Int64ObservableCounter {
	return must(m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(meaning)))
}

// ObservedSum is a Sum that is added up elsewhere, and asked for when it is sent.
func ObservedSum(m metric.Meter, name, unit, meaning string) metric.Float64ObservableCounter {
	return must(m.Float64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(meaning)))
}

// Observe has a function called whenever the instruments are sent, until what it returns is called.
func Observe(m metric.Meter, f func(metric.Observer), instruments ...metric.Observable) (end func()) {
	registration := must(m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		f(o)
		return nil
	}, instruments...))
	return func() { _ = registration.Unregister() } // nobody reads what is over
}

// By tells measurements apart: pairs of a key and one of its few values. It is to be made once, and kept.
func By(pairs ...string) metric.MeasurementOption {
	attributes := make([]attribute.KeyValue, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		attributes = append(attributes, attribute.String(pairs[i], pairs[i+1]))
	}
	return metric.WithAttributeSet(attribute.NewSet(attributes...))
}

func must[T any](made T, err error) T {
	if err != nil {
		panic("measure: " + err.Error())
	}
	return made
}
