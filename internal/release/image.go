package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The image is a layout of files as the OCI image specification (v1.1) has it:
//
//	index.json → an index of all platforms → a manifest each → config, layer
//
// podman, skopeo and containerd take it as an oci-archive.
// https://github.com/opencontainers/image-spec/blob/main/image-layout.md
const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// tag makes a tag of a version: it may have neither ~ nor +.
var tag = strings.NewReplacer("~", "-", "+", "-")

// platform is what an image has for one architecture.
type platform struct {
	arch    string
	nsx     []byte
	licence []byte
}

type ociDescriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *ociPlatform      `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type ociPlatform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

type ociIndex struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Manifests     []ociDescriptor `json:"manifests"`
}

type ociManifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        ociDescriptor     `json:"config"`
	Layers        []ociDescriptor   `json:"layers"`
	Annotations   map[string]string `json:"annotations"`
}

type ociConfig struct {
	Created      time.Time `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Config       struct {
		Entrypoint []string          `json:"Entrypoint"`
		Labels     map[string]string `json:"Labels"`
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// image is the layout's files. The image has nothing but nsx and its licence.
func (r *release) image(platforms []platform) (tree, error) {
	labels := map[string]string{
		"org.opencontainers.image.title":       "nsx",
		"org.opencontainers.image.description": title,
		"org.opencontainers.image.version":     r.version,
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
	layout := tree{{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)}}
	blob := func(mediaType string, data []byte) ociDescriptor {
		hash := fmt.Sprintf("%x", sha256.Sum256(data))
		layout = append(layout, file{"blobs/sha256/" + hash, 0o644, data})
		return ociDescriptor{MediaType: mediaType, Digest: "sha256:" + hash, Size: len(data)}
	}
	all := ociIndex{2, indexType, nil}
	for _, p := range platforms {
		if p.nsx == nil || p.licence == nil {
			return nil, errors.New("image: the stage has no nsx, or no licence")
		}
		layer := tree{{"LICENSE", 0o644, p.licence}, {"nsx", 0o755, p.nsx}}.tar(r.time, "")
		config := ociConfig{Created: r.time, Architecture: p.arch, OS: "linux"}
		config.Config.Entrypoint, config.Config.Labels = []string{"/nsx"}, labels
		config.RootFS.Type, config.RootFS.DiffIDs = "layers", []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}
		manifest := blob(manifestType, asJSON(ociManifest{
			2, manifestType, blob(configType, asJSON(config)), []ociDescriptor{blob(layerType, gzipped(layer))}, labels,
		}))
		manifest.Platform = &ociPlatform{p.arch, "linux"}
		all.Manifests = append(all.Manifests, manifest)
	}
	top := blob(indexType, asJSON(all))
	top.Annotations = map[string]string{"org.opencontainers.image.ref.name": "nsx:" + tag.Replace(r.packageVersion())}
	layout = append(layout, file{"index.json", 0o644, asJSON(ociIndex{2, indexType, []ociDescriptor{top}})})
	return layout.sorted(), nil
}

func asJSON(v any) []byte {
	data, err := json.Marshal(v)
	must(err)
	return data
}
