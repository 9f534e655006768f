import{b as e}from"./chunk-QC2FVK5C.js";import{ea as o,ga as r}from"./chunk-BPIQMLQY.js";function f(){return e.value.refused?null:o(r,{})}export{f as a};
