// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"math"
	"sort"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics are those of one look at a process.
type Metrics map[string]*dto.MetricFamily

func parseMetrics(text []byte) (Metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(bytes.NewReader(text))
}

func matches(m *dto.Metric, labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		found := false
		for _, l := range m.Label {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

// Sum adds up the counters, gauges or histograms' counts of a name with the given labels, which
// are pairs of name and value.
func (m Metrics) Sum(name string, labels ...string) float64 {
	sum := 0.0
	for _, one := range m[name].GetMetric() {
		if matches(one, labels) {
			sum += one.GetCounter().GetValue() + one.GetGauge().GetValue() +
				float64(one.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// Quantile is the upper bound of the bucket in which it lies, of the observations since before.
func (m Metrics) Quantile(before Metrics, q float64, name string, labels ...string) float64 {
	counts := map[float64]float64{}
	total := 0.0
	for sign, family := range map[float64]*dto.MetricFamily{1: m[name], -1: before[name]} {
		for _, one := range family.GetMetric() {
			if !matches(one, labels) {
				continue
			}
			total += sign * float64(one.GetHistogram().GetSampleCount())
			for _, b := range one.GetHistogram().GetBucket() {
				counts[b.GetUpperBound()] += sign * float64(b.GetCumulativeCount())
			}
		}
	}
	bounds := make([]float64, 0, len(counts))
	for bound := range counts {
		bounds = append(bounds, bound)
	}
	sort.Float64s(bounds)
	for _, bound := range bounds {
		if total > 0 && counts[bound] >= q*total {
			return bound
		}
	}
	return math.NaN()
}
