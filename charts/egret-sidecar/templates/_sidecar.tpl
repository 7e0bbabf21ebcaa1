{{- /*
What an app's chart includes into its pod. Each takes a dict: `root` (the app chart's `.`) and `egret` (its values for
this chart, `.Values.egret` under the alias `egret`). `initContainers` and `containers` both are included, each first in
its list; the sidecar is in one of them and the other is empty text.
*/ -}}
{{- define "egret-sidecar.initContainers" -}}
{{- if eq (include "egret-sidecar.form" .) "native" -}}
{{ include "egret-sidecar.sidecar" . }}
{{- end -}}
{{- end }}

{{- define "egret-sidecar.containers" -}}
{{- if eq (include "egret-sidecar.form" .) "plain" -}}
{{ include "egret-sidecar.sidecar" . }}
{{- end -}}
{{- end }}

{{- /* The volumes of the pod that the sidecar mounts. */ -}}
{{- define "egret-sidecar.volumes" -}}
{{- $policy := include "egret-sidecar.policyConfigMap" .egret -}}
{{ include "egret-sidecar.containerVolumes" (dict "egret" .egret "policyConfigMap" $policy) }}
{{- end }}

{{- /*
The variables of the app's containers, for the SDKs of OpenAI, Anthropic and Google. OpenAI's alone wants the `/v1` in its
address; the others add the version by themselves. SDKs do not start without a key: the placeholder means the pod's own
tenant, and is worth nothing outside of it. No provider's key is ever here.
*/ -}}
{{- define "egret-sidecar.env" -}}
{{- $egret := printf "http://127.0.0.1:%v" .egret.ports.calls -}}
- name: OPENAI_BASE_URL
  value: {{ $egret }}/v1
- name: OPENAI_API_KEY
  value: egret-local
- name: ANTHROPIC_BASE_URL
  value: {{ $egret }}
- name: ANTHROPIC_API_KEY
  value: egret-local
- name: GOOGLE_GEMINI_BASE_URL
  value: {{ $egret }}
- name: GEMINI_API_KEY
  value: egret-local
{{- end }}

{{- define "egret-sidecar.sidecar" -}}
{{- $policy := include "egret-sidecar.policyConfigMap" .egret -}}
{{- $form := include "egret-sidecar.form" . -}}
{{- /* The app's name is the app's own: by another, its spans are told from those of the sidecar. */ -}}
{{- $service := printf "%s-egret" (.root.Values.nameOverride | default .root.Chart.Name) -}}
{{ include "egret-sidecar.container" (dict
  "egret" .egret "form" $form "policyConfigMap" $policy "drainDeadline" .egret.drain.deadline "service" $service) }}
{{- end }}

{{- /* native or plain. */ -}}
{{- define "egret-sidecar.form" -}}
{{- $version := .root.Capabilities.KubeVersion.Version -}}
{{- $able := semverCompare ">=1.29.0-0" $version -}}
{{- if and (eq .egret.native "always") (not $able) -}}
{{- fail (printf "native: always needs Kubernetes 1.29 or newer; this cluster is %s" $version) -}}
{{- end -}}
{{- if and $able (ne .egret.native "never") }}native{{ else }}plain{{ end -}}
{{- end }}

{{- define "egret-sidecar.policyConfigMap" -}}
{{- required "policy.configMap: name the ConfigMap that holds egret's policy" .policy.configMap -}}
{{- end }}
